// The words of formats, for those who read and those who print them. See parse.h.
#include "kernels/formats/parse.h"

const char *const recipe_words[RECIPES] = {"quest", "lsq", "ste", "clip", "absmax", "seq"};
const char *const scale_rule_words[4] = {"rms", "absmax", "learned", "static"};
const char *const scale_type_words[SCALE_TYPES] = {"float",      "power-floor", "power-round", "power-ceil",
                                                   "power-even", "e4m3-scale",  "e4m3-floor",  "e4m3-ceil"};
const char *const rounding_words[3] = {"nearest", "stochastic", "eden"};
const char *const estimator_words[5] = {"ste", "clip", "trust", "lsq", "seq"};
const char *const backward_words[4] = {"forward", "requantize", "tokens", "original"};
const char *const sparsity_scope_words[3] = {"tensor", "row", "global"};
const char *const sparse_backward_words[6] = {"forward", "rms", "b-rms", "a-b-rms", "pass", "trust"};

const struct layer_name layer_names[] = {{"qkv", LAYER_QKV},
                                         {"output", LAYER_OUTPUT},
                                         {"gate_up", LAYER_GATE_UP},
                                         {"down", LAYER_DOWN},
                                         {"attention", LAYER_QKV | LAYER_OUTPUT},
                                         {"mlp", LAYER_GATE_UP | LAYER_DOWN},
                                         {NULL, 0}};

unsigned layers_find(struct piece name) {
  for (const struct layer_name *layer = layer_names; layer->name; layer++)
    if (piece_is(name, layer->name)) return layer->layers;
  return 0;
}
