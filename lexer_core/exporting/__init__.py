"""How is a model exported to a file or folder that the user names?"""
