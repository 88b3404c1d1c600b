"""What is the user's model, and how is it called?"""
