"""How is a case run?"""
