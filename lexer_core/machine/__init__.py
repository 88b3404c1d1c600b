"""What is this machine, and what did it do during the run?"""
