"""A trainer of one's own for isoloss, with PyTorch: a GRU language model on the corpus that isoloss prepared.

    train_torch.py CONFIG.json        as the command of a spec: own-trainer.yaml next to this file
"""
import json, os, signal, sys, time  # noqa: E401
import numpy, torch  # noqa: E401

run = json.load(open(sys.argv[1]))
folder, config, corpus = os.path.dirname(os.path.abspath(sys.argv[1])), run["config"], run["corpus"]["path"]
width, context, batch = config["model.width"], config["model.context"], config["train.batch_tokens"]
steps, seed, vocabulary = config["train.steps"], config["seed"], config["model.vocabulary"]
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))  # finish the step, save, leave


def event(name, **fields):
    with open(os.path.join(folder, "events.jsonl"), "a") as log:
        log.write(json.dumps({"event": name, **fields}) + "\n")


def tokens(split):  # 4096 bytes of header, its word 6 the number of tokens; 2 bytes a token
    count = int(numpy.fromfile(f"{corpus}/{split}.tokens", "<u8", 7)[6])
    return torch.from_numpy(numpy.fromfile(f"{corpus}/{split}.tokens", "<u2", count, offset=4096).astype("int64"))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = torch.nn.Embedding(vocabulary, width), torch.nn.Linear(width, vocabulary, False)
        self.core = torch.nn.GRU(width, width, config["model.layers"], batch_first=True)

    def loss(self, rows):
        logits = self.head(self.core(self.embedding(rows[:, :-1]))[0])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


torch.manual_seed(seed)
torch.set_num_threads(config["train.threads"])
train, validation, model = tokens("train"), tokens("validation"), Model()
optimizer = torch.optim.AdamW(model.parameters(), config["train.lr"], weight_decay=config["train.weight_decay"])
state, done, begun = os.path.join(folder, "state.pt"), 0, time.time()
if os.path.exists(state):
    saved = torch.load(state)
    model.load_state_dict(saved["model"]), optimizer.load_state_dict(saved["optimizer"])
    done = saved["done"]
core, total = (sum(p.numel() for p in m.parameters()) for m in (model.core, model))
event("start", trainer="gru-torch 1", resumed_from=done, steps=steps,
      parameters={"non_embedding": core, "total": total, "active": core})
for step in range(done, steps):
    order = torch.Generator().manual_seed(seed * 1_000_003 + step)  # a function of seed and step: resuming changes nothing
    at = torch.randint(len(train) - context - 1, (batch // context, 1), generator=order)
    optimizer.zero_grad()
    loss = model.loss(train[at + torch.arange(context + 1)])
    loss.backward()
    optimizer.step()
    if step == 0 or (step + 1) % config["train.log_steps"] == 0:
        event("step", step=step + 1, tokens=(step + 1) * batch, loss=loss.item(), lr=config["train.lr"])
    if stop and step + 1 < steps:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": step + 1}, state + ".new")
        os.replace(state + ".new", state)
        sys.exit(event("stopped", step=step + 1, tokens=(step + 1) * batch))
with torch.no_grad():
    windows = validation[: (len(validation) - 1) // context * context + 1].unfold(0, context + 1, context)
    windows = windows[: max(1, config["train.final_eval_tokens"] // context)]
    final = sum(model.loss(part).item() * len(part) for part in windows.split(64)) / len(windows)
event("done", step=steps, tokens=steps * batch, loss=final, flops=6 * (total - vocabulary * width) * steps * batch,
      wall_seconds=time.time() - begun)
