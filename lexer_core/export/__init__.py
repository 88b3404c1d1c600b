"""Who makes a format, and where is what they made kept?"""
