// What follows from a format alone; see config.h.
#include <math.h>

#include "kernels/formats/format.h"
#include "trainer/config.h"

_Static_assert(FORMAT_OPERANDS == OPERANDS, "a format has weights, activations and gradients");

// The part of a format in the forward pass: everything but gradients and what the backward products are made of.
static const char *forward_name(const struct format *format, struct arena *arena) {
  struct format part = *format;
  part.operands[OPERAND_GRADIENTS] = (struct representation){0};
  part.backward = BACKWARD_FORWARD;
  part.gradient_token_hadamard = false;
  return format_short_name(&part, arena);
}

// The part in the backward pass: how gradients are represented, and operands once more.
static const char *backward_name(const struct format *format, struct arena *arena) {
  struct format part = *format;
  part.operands[OPERAND_WEIGHTS] = part.operands[OPERAND_ACTIVATIONS] = (struct representation){0};
  return format_short_name(&part, arena);
}

struct format_facts config_format_facts(const char *text, struct arena *arena) {
  struct error unknown = {0};
  const struct format *format = format_parse(text, arena, &unknown);
  struct format_facts facts = {.name = text, .bits = {NAN, NAN, NAN}};
  if (!format) return facts;
  facts = (struct format_facts){format->name, forward_name(format, arena), backward_name(format, arena), {0}};
  for (int i = 0; i < OPERANDS; i++) facts.bits[i] = representation_bits(&format->operands[i]);
  return facts;
}
