"""Which value does each setting have, and where was it set?"""
