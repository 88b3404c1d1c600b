"""A module that hangs on import, for tests of workers."""

import time

time.sleep(60)
