"""Counts the instructions of the loops over tiles of the attention kernels, which are bound by them.

    cuobjdump -sass build/kernels/cuda/cuda.o | python3 tests/cuda/instructions.py

prints a line for each kernel and architecture: instructions of the innermost loop with most of the tensor cores' (HMMA), those among
them, and the kinds that are most frequent. What is masked at the diagonal stands in the loop and is jumped over elsewhere.
"""
import collections
import re
import sys

architecture = "unknown"
for line in re.split(r"(?=\n\s*(?:arch = |Function : ))", sys.stdin.read()):
    found = re.search(r"arch = (\S+)", line)
    if found:
        architecture = found[1]
    name = re.search(r"Function : \S*?attention_mma_(\w+?)_kernelILi(\d+)", line)
    if not name:
        continue
    code = [(int(at, 16), kind, rest) for at, kind, rest in
            re.findall(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+ )?([A-Z0-9_.]+)([^;]*);", line)]
    place = {at: i for i, (at, _, _) in enumerate(code)}
    loops = []
    for i, (at, kind, rest) in enumerate(code):
        to = re.search(r"0x([0-9a-f]+)", rest) if kind.startswith("BRA") else None
        if to and int(to[1], 16) < at and int(to[1], 16) in place:
            body = code[place[int(to[1], 16)]:i + 1]
            loops.append((-sum(kind.startswith("HMMA") for _, kind, _ in body), len(body), body))
    if not loops or not min(loops)[0]:
        continue
    tensor, count, body = min(loops, key=lambda loop: loop[:2])
    kinds = collections.Counter(kind.split(".")[0] for _, kind, _ in body)
    print(f"{architecture} attention_mma_{name[1]} head dimension up to {name[2]}: {count} instructions, {-tensor} HMMA; " +
          ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(8) if kind != "HMMA"))
