"""The way from a photo to the first layer, judged as a layer: what it did otherwise than the reference."""
