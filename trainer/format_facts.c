// What follows from a format alone; see formats.h.
#include <math.h>

#include "trainer/formats.h"

const char *format_forward(const struct format *format, struct arena *arena) {
  struct format part = *format;
  part.operands[OPERAND_GRADIENTS] = (struct representation){0};
  part.backward = BACKWARD_FORWARD;
  part.gradient_token_hadamard = false;
  return format_short_name(&part, arena);
}

const char *format_backward(const struct format *format, struct arena *arena) {
  struct format part = *format;
  part.operands[OPERAND_WEIGHTS] = part.operands[OPERAND_ACTIVATIONS] = (struct representation){0};
  return format_short_name(&part, arena);
}

const char *format_after_weights(const struct format *format, struct arena *arena) {
  if (!format) return "none";
  struct format rest = *format;
  rest.operands[OPERAND_WEIGHTS] = rest.operands[OPERAND_GRADIENTS] = (struct representation){0};
  rest.backward = BACKWARD_FORWARD;
  rest.gradient_token_hadamard = false;
  rest.after = 0;  // it has begun
  return format_is_none(&rest) ? "none" : format_short_name(&rest, arena);
}

int64_t format_begins(const struct format *format, int64_t steps) {
  return format && format->after > 0 ? llround(format->after * (double)steps) : 0;
}

struct format_facts format_facts(const char *text, struct arena *arena) {
  struct error unknown = {0};
  const struct format *format = format_read(text, arena, &unknown);
  struct format_facts facts = {.name = text, .bits = {NAN, NAN, NAN}};
  if (!format) return facts;
  facts = (struct format_facts){format->name, format_forward(format, arena), format_backward(format, arena), {0}};
  for (int i = 0; i < OPERANDS; i++) facts.bits[i] = representation_bits(&format->operands[i]);
  return facts;
}

const char *format_canonical(const char *text, struct arena *arena) {
  struct error unknown = {0};
  const struct format *format = format_read(text, arena, &unknown);
  return format ? format->name : text;
}
