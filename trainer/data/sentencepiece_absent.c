// What sentencepiece_face.h gives in a build without the library: nothing, said by tokenizer_needs_sentencepiece before
// any of it is called.
#include <stdio.h>

#include "trainer/data/sentencepiece_face.h"

bool sentencepiece_present(void) { return false; }

static bool absent(char *message, size_t room) {
  snprintf(message, room, "this build has no sentencepiece");
  return false;
}

struct piece_model *sentencepiece_load(const void *model, size_t length, char *message, size_t room) {
  absent(message, room);
  return NULL;
}

void sentencepiece_free(struct piece_model *model) {}
int32_t sentencepiece_vocabulary(const struct piece_model *model) { return 0; }
int32_t sentencepiece_end_id(const struct piece_model *model) { return -1; }
int32_t sentencepiece_byte_id(const struct piece_model *model, int byte) { return -1; }
int32_t sentencepiece_piece(const struct piece_model *model, int32_t id, const char **text) { return 0; }

bool sentencepiece_encode(const struct piece_model *model, const char *text, size_t length, bool exact,
                          sentencepiece_token *token, void *context, char *message, size_t room) {
  return absent(message, room);
}

bool sentencepiece_decode(const struct piece_model *model, const int32_t *ids, size_t count, sentencepiece_text *result,
                          void *context, char *message, size_t room) {
  return absent(message, room);
}

bool sentencepiece_train(const struct sentencepiece_line *lines, size_t count, int64_t vocabulary,
                         sentencepiece_text *result, void *context, char *message, size_t room) {
  return absent(message, room);
}
