"""A module that takes its time, for tests of what happens while a worker imports."""

import time

time.sleep(60)
