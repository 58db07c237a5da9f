// The methods and their fields: what a spec may say. See compress.h.
#include <string.h>

#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

#define FIELD(member, field_type) \
  .path = #member, .type = field_type, .offset = offsetof(struct compress_settings, member), .effect = EFFECT_COUNTS
#define INTEGER(member, least, most) FIELD(member, FIELD_INTEGER), .low = least, .high = most
#define NUMBER(member, least, most) FIELD(member, FIELD_NUMBER), .low = least, .high = most
#define CHOICE(member, words) FIELD(member, FIELD_CHOICE), .choices = words
#define TEXT(member) FIELD(member, FIELD_TEXT)
#define DEFAULT(text) .fallback = text
#define AUTO .fallback = "auto", .auto_allowed = true
#define UNIT(text) .unit = text
#define HELP(line) .help = line

const struct run_field compress_fields[] = {
    {TEXT(format), DEFAULT(""), HELP("format whose weights' part the matrices become (docs/formats.md)")},
    {INTEGER(bits, 1, 8), AUTO, UNIT("bits"),
     HELP("in place of format: integers of that many bits, scaled by the largest magnitude of a row or group")},
    {INTEGER(group, 2, 65536), AUTO, UNIT("inputs"),
     HELP(
         "with bits: inputs that share a scale; auto: a row. higgs: the largest power of two up to it that divides the "
         "inputs; auto: 1024")},
    {NUMBER(damping, 0, 10), DEFAULT("0.01"), HELP("what is added to the Hessian's diagonal, as a share of its mean")},
    {CHOICE(order, "natural|act|min-pivot|reversed"), DEFAULT("natural"),
     HELP("in which inputs are rounded: first to last (babai: last to first), largest diagonal first, smallest pivot "
          "factored first and rounded last, or the natural order reversed")},
    {CHOICE(clip, "none|mse"), DEFAULT("none"),
     HELP("mse: each scale by the largest magnitude is shrunk, down to 0.21 of it, to what rounds its weights best")},
    {CHOICE(range, "grid|unbounded"), DEFAULT("grid"),
     HELP("unbounded: integers beyond the grid's ends are taken as they come; bits are the codes' entropy")},
    {INTEGER(p, 1, 4), DEFAULT("2"), HELP("dimension of the grid: 1, 2 or 4")},
    {INTEGER(n, 2, 256), DEFAULT("256"), HELP("points of the grid")},
    {TEXT(pattern), DEFAULT(""), HELP("N:M, the N of every M neighbouring inputs that are kept; else sparsity")},
    {NUMBER(sparsity, 0, 1), DEFAULT("0.5"), HELP("share of weights that become 0, where there is no pattern")},
    {INTEGER(steps, 1, 1e12), AUTO, UNIT("steps"), HELP("how long elsa trains")},
    {NUMBER(lr, 0, 100), AUTO, HELP("its peak learning rate; auto: a tenth of the training's")},
    {INTEGER(interval, 1, 1e9), DEFAULT("32"), UNIT("steps"), HELP("steps between two projections")},
    {NUMBER(lambda, 0, 1e9), DEFAULT("0.1"), HELP("weight of the distance from the sparse weights")},
    {CHOICE(lambda_schedule, "constant|linear|cosine|exponential"), DEFAULT("constant"),
     HELP("how lambda comes to its value over the steps")},
    {CHOICE(projection, "identity|second_moment"), DEFAULT("identity"),
     HELP("what is kept: the largest x^2, or the largest v x^2 with AdamW's second moment v")},
    {CHOICE(penalty, "in_gradient|decoupled"), DEFAULT("in_gradient"),
     HELP("whether the optimizer sees the distance as part of the gradient, or weights move by it apart")},
    {CHOICE(memory, "full|low"), DEFAULT("full"), HELP("low: sparse weights in FP8, multipliers in bfloat16")},
};
const size_t compress_field_count = sizeof compress_fields / sizeof compress_fields[0];

const struct compress_method *const compress_methods[] = {
    &method_rtn, &method_gptq, &method_babai, &method_higgs, &method_magnitude, &method_sparsegpt, &method_elsa, NULL};

const struct compress_method *compress_method_find(const char *name, const char **nearest) {
  const char *names[32];
  size_t count = 0;
  if (nearest) *nearest = NULL;
  for (; compress_methods[count]; count++) {
    if (strcmp(compress_methods[count]->name, name) == 0) return compress_methods[count];
    names[count] = compress_methods[count]->name;
  }
  if (nearest) *nearest = nearest_name(name, names, count);
  return NULL;
}

bool compress_method_reads(const struct compress_method *method, const char *field) {
  for (const char *const *name = method->fields; *name; name++)
    if (strcmp(*name, field) == 0) return true;
  return false;
}

const struct run_field *compress_field_find(const struct compress_method *method, const char *name,
                                            const char **nearest) {
  const char *names[32];
  size_t count = 0;
  if (nearest) *nearest = NULL;
  for (size_t i = 0; i < compress_field_count; i++) {
    if (!compress_method_reads(method, compress_fields[i].path)) continue;
    if (strcmp(compress_fields[i].path, name) == 0) return &compress_fields[i];
    names[count++] = compress_fields[i].path;
  }
  if (nearest) *nearest = nearest_name(name, names, count);
  return NULL;
}
