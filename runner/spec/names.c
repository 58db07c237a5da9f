// See names.h.
#include "runner/spec/names.h"

#include <math.h>
#include <string.h>

static struct value number(double value) {
  return isnan(value) ? (struct value){.kind = VALUE_MISSING} : (struct value){.kind = VALUE_NUMBER, .number = value};
}

#define QUANTITY(function, expression)                                                             \
  static struct value function(const struct run_quantities *q, const struct corpus_facts *facts) { \
    return number((double)(expression));                                                           \
  }
QUANTITY(get_parameters, q->parameters.non_embedding)
QUANTITY(get_total, q->parameters.total)
QUANTITY(get_embedding, q->parameters.embedding)
QUANTITY(get_head, q->parameters.head)
QUANTITY(get_attention, q->parameters.attention)
QUANTITY(get_mlp, q->parameters.mlp)
QUANTITY(get_norms, q->parameters.norms)
QUANTITY(get_prunable, q->parameters.prunable)
QUANTITY(get_tokens, q->tokens)
QUANTITY(get_steps, q->steps)
QUANTITY(get_epochs, q->epochs)
QUANTITY(get_ratio, q->tokens_per_parameter)
QUANTITY(get_flops, q->flops)
QUANTITY(get_flops_6nd, q->flops_6nd)
QUANTITY(get_flops_per_token, q->flops_per_token)
QUANTITY(get_corpus_tokens, !facts->known                      ? NAN
                            : facts->train_tokens == INT64_MAX ? INFINITY
                                                               : (double)facts->train_tokens)
QUANTITY(get_bytes_per_token, facts->known ? facts->bytes_per_token : NAN)
QUANTITY(get_irreducible_loss, facts->known ? facts->irreducible_loss : NAN)
#undef QUANTITY

const struct run_quantity run_quantities_table[] = {
    {"parameters", "", "N: non-embedding parameters (linear and norm weights of the blocks, final norm)",
     get_parameters},
    {"parameters_total", "", "all parameters", get_total},
    {"parameters_embedding", "", "parameters of the embedding", get_embedding},
    {"parameters_head", "", "parameters of an untied output head", get_head},
    {"parameters_attention", "", "parameters of the attention's linear layers", get_attention},
    {"parameters_mlp", "", "parameters of the SwiGLU's linear layers", get_mlp},
    {"parameters_norms", "", "parameters of the norms", get_norms},
    {"parameters_prunable", "", "parameters of the blocks' linear layers", get_prunable},
    {"tokens", "tokens", "D: training tokens seen", get_tokens},
    {"steps", "steps", "optimizer steps", get_steps},
    {"epochs", "", "training tokens over the corpus's tokens", get_epochs},
    {"tokens_per_parameter", "", "D over N", get_ratio},
    {"flops", "FLOP", "C: counted per operation, attention and the vocabulary matrix included", get_flops},
    {"flops_6nd", "FLOP", "6 N D", get_flops_6nd},
    {"flops_per_token", "FLOP", "C over D", get_flops_per_token},
    {"corpus_tokens", "tokens", "training tokens of the corpus: one epoch", get_corpus_tokens},
    {"bytes_per_token", "bytes", "of the corpus's validation split", get_bytes_per_token},
    {"irreducible_loss", "nats", "of a synthetic source, in closed form", get_irreducible_loss},
};
const size_t run_quantity_count = sizeof run_quantities_table / sizeof run_quantities_table[0];

const char *const result_columns[] = {
    "id",
    "stage",
    "parent",
    "state",
    "parameters_active",
    "parameters_active_average",
    "sparsity",
    "forward",
    "backward",
    "weight_bits",
    "activation_bits",
    "gradient_bits",
    "kv_bits",
    "gmse_weights",
    "gmse_activations",
    "gmse_gradients",
    "unique_tokens",
    "targets",
    "loss",
    "bits_per_byte",
    "oracle_loss",
    "train_loss",
    "step",
    "wall_seconds",
    "train_seconds",
    "tokens_per_second",
    "peak_memory",
    "backend",
    "device",
    "dtype",
    "gemm",
    "kernel",
    "isa",
    "threads",
    "host",
    "trainer",
    "commit_id",
    "message",
    "attempts",
    "checkpoint",
    "corpus_digest",
    "created_at",
    "started_at",
    "finished_at",
};
const size_t result_column_count = sizeof result_columns / sizeof result_columns[0];

bool run_name_find(const char *name, struct run_name *found) {
  *found = (struct run_name){0};
  for (size_t i = 0; i < run_quantity_count; i++) {
    if (strcmp(run_quantities_table[i].name, name) != 0) continue;
    found->quantity = &run_quantities_table[i];
    return true;
  }
  found->field = field_find(name, NULL);
  return found->field;
}

const char *run_name_nearest(const char *name, bool with_results) {
  const char *names[256];
  size_t count = 0;
  for (size_t i = 0; i < run_field_count && count < 256; i++) names[count++] = run_fields[i].path;
  for (size_t i = 0; i < run_quantity_count && count < 256; i++) names[count++] = run_quantities_table[i].name;
  for (size_t i = 0; with_results && i < result_column_count && count < 256; i++) names[count++] = result_columns[i];
  return nearest_name(name, names, count);
}
