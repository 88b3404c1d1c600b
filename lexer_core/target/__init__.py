"""What does TARGET name, and what are its inputs?"""
