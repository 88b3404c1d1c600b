"""Which configuration is the best within limits?"""
