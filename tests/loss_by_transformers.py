"""The loss of a folder of Hugging Face's files by transformers itself."""


def loss_by_transformers(folder, batch, loader):
    """Loaded by the class `loader` of transformers; None where transformers is missing."""
    try:
        import torch
        import transformers
    except ImportError:
        return None
    model = getattr(transformers, loader).from_pretrained(folder)
    tokens, targets, mask = (torch.tensor(batch[k]) for k in ("tokens", "targets", "mask"))
    with torch.no_grad():
        logits = model(input_ids=tokens).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return float((losses.double() * mask.flatten()).sum() / mask.sum())
