"""Which engines are installed, and can they be used?"""
