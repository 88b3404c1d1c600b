"""To which modules of the user's model does an engine's time belong?"""
