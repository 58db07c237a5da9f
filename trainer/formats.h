// Formats as users give them, and what follows from one. Kernels know the short form only (kernels/formats/format.h);
// here a format may be a mapping of a spec as well:
//   {weights: {grid: int4, scale: absmax, per: group(32)}, activations: int8, backward: requantize, layers: [mlp]}
#pragma once
#include "kernels/formats/format.h"

// A format of either form. NULL and an error ("format: ...") when it is none. Owned by the arena.
const struct format *format_read(const char *text, struct arena *arena, struct error *error);
// The same from a spec's node, a scalar or a mapping; mistakes go to `diagnostics` at their line and column.
const struct format *format_read_node(const struct node *node, struct arena *arena, struct diagnostics *diagnostics);

// The canonical name of a format as somebody wrote it: equal formats have equal names. The text itself where this
// trainer has no such format (a custom trainer may have).
const char *format_canonical(const char *text, struct arena *arena);
// A format's part in the forward pass, as a format of its own: everything but gradients and what the backward products
// are made of. And that in the backward pass: how gradients are represented, and operands once more; "none": products
// of the forward pass' values and plain gradients.
const char *format_forward(const struct format *format, struct arena *arena);
const char *format_backward(const struct format *format, struct arena *arena);
// What a format still does to a model whose weights are represented already: the forward pass' activations. NULL: none.
const char *format_after_weights(const struct format *format, struct arena *arena);
// The updates of a training of so many that pass in full precision before the format: its share of the steps, rounded
// to the nearest whole one (halves up). 0: it holds from the start on, or is NULL.
int64_t format_begins(const struct format *format, int64_t steps);
// What the store keeps of a format. Of one that this trainer does not know only the name, as given.
struct format_facts {
  const char *name;                // canonical
  const char *forward, *backward;  // NULL: not known
  double bits[OPERANDS];           // stored bits a value; 16: not represented; NAN: not known
};
struct format_facts format_facts(const char *format, struct arena *arena);
