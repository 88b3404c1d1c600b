"""How many requests a second can an engine serve within a limit on their latency?"""
