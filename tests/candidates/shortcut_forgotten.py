"""A ResNet-18 that was unrolled by hand to step through it in the debugger."""

import torch.nn as nn
import torch.nn.functional as F


class UnrolledResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn0 = nn.BatchNorm2d(64)
        widths = [64, 64, 64, 64, 64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512]
        for i in range(16):
            stride = 2 if widths[i] != widths[i + 1] else 1
            setattr(self, f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], 3, stride, 1, bias=False))
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
        self.skip5, self.skip5_bn = nn.Conv2d(64, 128, 1, 2, bias=False), nn.BatchNorm2d(128)
        self.skip9, self.skip9_bn = nn.Conv2d(128, 256, 1, 2, bias=False), nn.BatchNorm2d(256)
        self.skip13, self.skip13_bn = nn.Conv2d(256, 512, 1, 2, bias=False), nn.BatchNorm2d(512)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = F.relu(self.bn0(self.conv0(x)))
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)

        # stage 1
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        x = F.relu(x + y)
        y = F.relu(self.bn3(self.conv3(x)))
        y = self.bn4(self.conv4(y))
        x = F.relu(x + y)

        # stage 2
        y = F.relu(self.bn5(self.conv5(x)))
        y = self.bn6(self.conv6(y))
        x = F.relu(self.skip5_bn(self.skip5(x)) + y)
        y = F.relu(self.bn7(self.conv7(x)))
        y = self.bn8(self.conv8(y))
        x = F.relu(y)

        # stage 3
        y = F.relu(self.bn9(self.conv9(x)))
        y = self.bn10(self.conv10(y))
        x = F.relu(self.skip9_bn(self.skip9(x)) + y)
        y = F.relu(self.bn11(self.conv11(x)))
        y = self.bn12(self.conv12(y))
        x = F.relu(x + y)

        # stage 4
        y = F.relu(self.bn13(self.conv13(x)))
        y = self.bn14(self.conv14(y))
        x = F.relu(self.skip13_bn(self.skip13(x)) + y)
        y = F.relu(self.bn15(self.conv15(x)))
        y = self.bn16(self.conv16(y))
        x = F.relu(x + y)

        x = F.adaptive_avg_pool2d(x, 1)
        return self.fc(x.view(-1, 512))
