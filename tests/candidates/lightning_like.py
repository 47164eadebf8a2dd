"""Training module: losses and metrics stand beside the network, as the trainer wants them."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_ch, ch, stride=1, activation=nn.ReLU):
        super().__init__()
        self.main_path = nn.Sequential(
            nn.Conv2d(in_ch, ch, 3, stride, 1),
            nn.BatchNorm2d(ch),
            activation(),
            nn.Conv2d(ch, ch * self.expansion, 3, 1, 1),
            nn.BatchNorm2d(ch * self.expansion),
        )
        self.skip_path = None
        if stride != 1 or in_ch != ch * self.expansion:
            self.skip_path = nn.Sequential(nn.Conv2d(in_ch, ch, 1, stride), nn.BatchNorm2d(ch))
        self.last_activation = activation()

    def forward(self, x):
        h = self.main_path(x)
        h += self.skip_path(x) if self.skip_path else x
        return self.last_activation(h)


class LitClassifier(nn.Module):
    def __init__(self, blocks=(2, 2, 2, 2), num_classes=1000, lr=0.1, label_smoothing=0.0):
        super().__init__()
        self.lr = lr
        self.criterion = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.register_buffer("class_weights", torch.ones(num_classes))
        self.model = self._build(blocks, num_classes)

    def _build(self, blocks, num_classes):
        modules = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        in_ch = 64
        for i, n in enumerate(blocks):
            for j in range(n):
                modules.append(BasicBlock(in_ch, 64 * 2**i, stride=2 if i > 0 and j == 0 else 1))
                in_ch = 64 * 2**i
        modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_ch, num_classes)]
        return nn.Sequential(*modules)

    def forward(self, x):
        return self.model(x)

    def step(self, batch, stage):
        images, labels = batch
        logits = self(images)
        accuracy = (logits.argmax(1) == labels).float().mean()
        return self.criterion(logits, labels), {f"{stage}/accuracy": accuracy}

    def training_step(self, batch):
        return self.step(batch, "train")

    def predict(self, images):
        return F.softmax(self(images), dim=1)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9, weight_decay=1e-4)
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=90)
