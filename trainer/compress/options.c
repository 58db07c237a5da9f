// The options of a method that differ in bits alone: what an allocation chooses from. See compress.h.
#include "trainer/compress/internal.h"

bool compress_allocates(const struct compress_method *method) {
  return !method->prunes && (compress_method_reads(method, "bits") || compress_method_reads(method, "p"));
}

bool compress_set_bits(struct compress_settings *settings, int bits) {
  if (!compress_allocates(settings->method)) return false;
  if (compress_method_reads(settings->method, "p")) {
    struct grid grid;
    int64_t exponent = settings->p * bits;
    if (exponent > 16 || !higgs_grid((int)settings->p, 1 << exponent, &grid)) return false;
    settings->n = 1 << exponent;
  } else {
    settings->format = "";
    settings->bits = bits;
  }
  settings->parsed_format = NULL;
  return true;
}
