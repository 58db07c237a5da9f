// A model whose format begins after a part of its training: what its files share. See model.h.
#pragma once
#include "trainer/model.h"

// Frees the weights and lays everything out again, with the format or without; nothing that was there before is used
// any more. Parameters and state keep their bytes, which mean something else where the layout is another.
bool model_lay_out_anew(struct model *model, bool formatted, struct error *error);
// The step that the format's operations are given after `step` updates: their own, from 0 at the first.
int64_t model_format_step(const struct model *model, int64_t step);
