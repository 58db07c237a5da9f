"""The same trainer with Python's standard library alone: a factorised bigram model instead of the GRU.

    train_plain.py CONFIG.json

Slow, and no language model to speak of; it shows, and tests, all that isoloss asks of a trainer without PyTorch.
"""
import array
import json
import math
import os
import pickle
import random
import signal
import sys

run = json.load(open(sys.argv[1]))
folder, config, corpus = os.path.dirname(os.path.abspath(sys.argv[1])), run["config"], run["corpus"]["path"]
width, batch, steps, seed = (config[k] for k in ("model.width", "train.batch_tokens", "train.steps", "seed"))
vocabulary, rate = config["model.vocabulary"], config["train.lr"]
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))


def event(name, **fields):
    with open(os.path.join(folder, "events.jsonl"), "a") as log:
        log.write(json.dumps({"event": name, **fields}) + "\n")


def tokens(split):  # 4096 bytes of header, its word 6 the number of tokens; 2 bytes a token
    with open(f"{corpus}/{split}.tokens", "rb") as file:
        count = array.array("Q", file.read(56))[6]
        file.seek(4096)
        return array.array("H", file.read(2 * count))


def forward(token):  # the hidden vector of a token, and the shares of all that may follow
    hidden = embedding[token]
    logits = [sum(map(float.__mul__, row, hidden)) for row in head]
    top = max(logits)
    shares = [math.exp(x - top) for x in logits]
    total = sum(shares)
    return hidden, [x / total for x in shares]


def train_on(token, target):
    hidden, shares = forward(token)
    loss, back = -math.log(shares[target]), [0.0] * width
    shares[target] -= 1
    for row, error in zip(head, shares):
        for i in range(width):
            back[i] += error * row[i]
            row[i] -= rate * error * hidden[i]
    for i in range(width):
        hidden[i] -= rate * back[i]
    return loss


train, validation, done, state = tokens("train"), tokens("validation"), 0, os.path.join(folder, "state.pickle")
draw = random.Random(seed)
embedding, head = ([[draw.gauss(0, 0.1) for _ in range(width)] for _ in range(vocabulary)] for _ in range(2))
if os.path.exists(state):
    with open(state, "rb") as file:
        done, embedding, head = pickle.load(file)
event("start", trainer="bigram-plain 1", resumed_from=done, steps=steps,
      parameters={"non_embedding": vocabulary * width, "total": 2 * vocabulary * width})
for step in range(done, steps):
    order = random.Random(seed * 1_000_003 + step)  # a function of seed and step: resuming changes nothing
    at = [order.randrange(len(train) - 1) for _ in range(batch)]
    loss = sum(train_on(train[i], train[i + 1]) for i in at) / batch
    event("step", step=step + 1, tokens=(step + 1) * batch, loss=loss, lr=rate)
    if stop and step + 1 < steps:
        with open(state + ".new", "wb") as file:
            pickle.dump((step + 1, embedding, head), file)
        os.replace(state + ".new", state)
        sys.exit(event("stopped", step=step + 1, tokens=(step + 1) * batch))
count = min(len(validation) - 1, config["train.final_eval_tokens"])
final = -sum(math.log(forward(validation[i])[1][validation[i + 1]]) for i in range(count)) / count
event("done", step=steps, tokens=steps * batch, loss=final, flops=6 * vocabulary * width * steps * batch)
