"""NIR as anybody writes it: read tolerantly, flattened, sized and ordered, or refused by node name."""
