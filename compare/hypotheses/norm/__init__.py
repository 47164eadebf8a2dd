"""What a batch norm may do instead."""
