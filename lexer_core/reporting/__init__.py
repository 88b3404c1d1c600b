"""How is a benchmark shown?"""
