"""Which engines are there, and in what state?"""
