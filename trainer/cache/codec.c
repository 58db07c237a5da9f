// See codec.h.
#include "trainer/cache/codec.h"

#include "kernels/formats/quantize.h"

struct cache_codec {
  int64_t width;
  struct quantizer quantizer;
  const struct format_level *level;
  uint32_t *signs;  // [width]
  float *scratch;
};

int64_t cache_group(int64_t width) {
  int64_t group = 1;
  while (group * 2 <= CACHE_LARGEST_GROUP && width % (group * 2) == 0) group *= 2;
  return group;
}

static struct representation representation_of(int bits, int64_t width) {
  struct representation representation = {0};
  int group = (int)cache_group(width);
  representation.grid = (struct grid){.kind = GRID_VECTOR, .count = 1 << 2 * bits, .dimension = 2};
  representation.hadamard = (struct hadamard){HADAMARD_RANDOM, group, false};
  representation.scale = (struct scale){SCALE_RMS, SCALE_PER_GROUP, SCALE_FLOAT, group, 1, true};
  return representation;
}

double cache_codec_bits(int bits, int64_t width) {
  struct representation representation = representation_of(bits, width);
  return representation_bits(&representation);
}

struct cache_codec *cache_codec_make(int bits, int64_t width, uint64_t seed, uint64_t number, struct arena *arena,
                                     struct error *error) {
  struct cache_codec *codec = arena_alloc(arena, sizeof *codec);
  const struct representation representation = representation_of(bits, width);
  enum isa_level isa;
  *codec = (struct cache_codec){.width = width};
  if (!isa_choose(NULL, &isa, error) || !quantizer_make(&codec->quantizer, &representation, width, arena, error))
    return NULL;
  codec->level = format_level_find(isa);
  codec->signs = arena_array(arena, (size_t)width, sizeof *codec->signs);
  codec->scratch = arena_array(arena, (size_t)quantize_scratch(width), sizeof *codec->scratch);
  hadamard_signs(seed, 0, number, width, codec->signs);
  return codec;
}

void cache_codec_represent(const struct cache_codec *codec, int64_t rows, const float *from, float *to) {
  struct quantize_call quantize = {
      .quantizer = &codec->quantizer, .from = from, .to = to, .signs = codec->signs, .scratch = codec->scratch};
  struct transform_call back = {.columns = codec->width,
                                .block = codec->quantizer.hadamard_block,
                                .signs = codec->signs,
                                .from = to,
                                .to = to,
                                .scratch = codec->scratch};
  if (rows == 0) return;
  codec->level->quantize(&quantize, 0, rows, 0);
  codec->level->inverse(&back, 0, rows, 0);
}
