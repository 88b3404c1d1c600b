"""How is a case measured?"""
