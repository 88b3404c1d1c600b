"""How is a measured model saved to a folder, and loaded as a session?"""
