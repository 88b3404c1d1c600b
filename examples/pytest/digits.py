"""A small network that recognises handwritten digits."""

import torch
from torch import nn


class DigitNet(nn.Module):
    """Tells the ten digits apart, in pictures of 28 by 28 pixels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)  # stands for loading trained weights
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 13 * 13, 10),
        )

    def forward(self, image):
        return self.layers(image)
