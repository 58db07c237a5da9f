// The format that a compression would have if a model were trained in it. See compress.h.
#include "trainer/compress/internal.h"

const struct format *compress_format(const struct compress_settings *settings, const struct format *trained,
                                     struct arena *arena) {
  const struct format *own = settings->parsed_format;
  struct format made = {.layers = LAYERS_DEFAULT};
  if (compress_method_reads(settings->method, "p")) return NULL;
  if (own) made = *own;
  // No method but those with a grid of their own depends on the number of inputs.
  made.operands[OPERAND_WEIGHTS] = resolved_representation(settings, 0);
  if (representation_is_none(&made.operands[OPERAND_WEIGHTS])) return NULL;
  bool activations = own && !representation_is_none(&own->operands[OPERAND_ACTIVATIONS]);
  if (trained && !activations && !representation_is_none(&trained->operands[OPERAND_ACTIVATIONS])) {
    if (trained->layers != made.layers) return NULL;
    made.operands[OPERAND_ACTIVATIONS] = trained->operands[OPERAND_ACTIVATIONS];
  }
  made.name = format_short_name(&made, arena);
  return format_parse(made.name, arena, &(struct error){0});
}
