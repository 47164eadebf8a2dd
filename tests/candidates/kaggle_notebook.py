#!/usr/bin/env python

# # ResNet-50 from scratch
# In this notebook we build the network piece by piece. Please upvote if it helped you!

# In[1]:

import torch
import torch.nn as nn

NUM_CLASSES = 1000
device = "cpu"

# ## 1. Configuration
# (number of blocks, channels inside, channels outside, stride)

# In[2]:

cfg = [
    (3, 64, 256, 1),
    (4, 128, 512, 2),
    (6, 256, 1024, 2),
    (3, 512, 2048, 2),
]

# ## 2. The bottleneck

# In[3]:


class BottleNeck(nn.Module):
    def __init__(self, in_c, mid_c, out_c, stride, first=False):
        super().__init__()
        self.first = first
        self.batchnorm3 = nn.BatchNorm2d(out_c)
        self.batchnorm2 = nn.BatchNorm2d(mid_c)
        self.batchnorm1 = nn.BatchNorm2d(mid_c)

        self.conv1 = nn.Conv2d(in_c, mid_c, 1)
        self.conv2 = nn.Conv2d(mid_c, mid_c, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(mid_c, out_c, 1)

        if self.first:
            self.i_conv = nn.Conv2d(in_c, out_c, 1, stride=stride)
            self.i_norm = nn.BatchNorm2d(out_c)

        self.relu = nn.ReLU()

    def forward(self, x):
        i = x
        x = self.relu(self.batchnorm1(self.conv1(x)))
        x = self.relu(self.batchnorm2(self.conv2(x)))
        x = self.batchnorm3(self.conv3(x))
        if self.first:
            i = self.i_norm(self.i_conv(i))
        x += i
        return self.relu(x)


# ## 3. The whole network

# In[4]:


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.batch_norm1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(3, 2, 1)

        in_c = 64
        for k, (n, mid_c, out_c, stride) in enumerate(cfg):
            blocks = [BottleNeck(in_c, mid_c, out_c, stride, first=True)]
            for _ in range(n - 1):
                blocks.append(BottleNeck(out_c, mid_c, out_c, 1))
            exec(f"self.layer{k + 1} = nn.Sequential(*blocks)")
            in_c = out_c

        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2048, NUM_CLASSES)

    def forward(self, x):
        x = self.relu(self.batch_norm1(self.conv1(x)))
        x = self.max_pool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.avgpool(x)
        x = x.reshape(x.shape[0], -1)
        return self.fc(x)


# In[5]:


def main():
    model = ResNet50().to(device)
    print(sum(p.numel() for p in model.parameters()))
    print(model(torch.randn(1, 3, 224, 224)).shape)


if __name__ == "__main__":
    main()
