// See search_state.h.
#include "trainer/stages/search_state.h"

#include <string.h>
#include <unistd.h>

struct state_header {
  char magic[8];
  char identity[DIGEST_LENGTH];  // of the run's configuration, corpus and parent
  char digest[DIGEST_LENGTH];    // of what follows
  int64_t generation, asked, tokens, trained, log_size, count;
  double worth, seconds;
};
static const char state_magic[8] = {'i', 's', 'o', 's', 'r', 'c', 'h', '1'};

static const char *path_of(struct stage_work *work) {
  return path_join(&work->run.arena, work->run.run_folder, "search.state");
}

// Of the numbers and the choice behind them.
static struct digest digest_of(const struct state_header *header, const int *choice) {
  struct text text = {0};
  const size_t from = offsetof(struct state_header, generation);
  text_append(&text, (const char *)header + from, sizeof *header - from);
  text_append(&text, (const char *)choice, (size_t)header->count * sizeof *choice);
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_free(&text);
  return digest;
}

bool search_state_write(struct stage_work *work, struct search_state *state, struct error *error) {
  struct training *t = &work->run;
  struct text text = {0};
  state->seconds = training_seconds(t);
  state->log_size = t->log.size;
  struct state_header header = {.generation = state->generation,
                                .asked = state->asked,
                                .tokens = state->tokens,
                                .trained = state->trained,
                                .log_size = state->log_size,
                                .count = state->count,
                                .worth = state->worth,
                                .seconds = state->seconds};
  memcpy(header.magic, state_magic, sizeof state_magic);
  memcpy(header.identity, t->identity.hex, DIGEST_LENGTH);
  memcpy(header.digest, digest_of(&header, state->choice).hex, DIGEST_LENGTH);
  text_append(&text, (const char *)&header, sizeof header);
  text_append(&text, (const char *)state->choice, (size_t)state->count * sizeof *state->choice);
  bool fine = event_log_sync(&t->log, error) && file_write_atomic(path_of(work), text.bytes, text.length, error);
  text_free(&text);
  return fine;
}

bool search_state_read(struct stage_work *work, struct search_state *state) {
  struct training *t = &work->run;
  struct state_header header;
  struct error unread = {0};
  size_t length;
  const char *path = path_of(work);
  const char *found = file_exists(path) ? file_read(&t->arena, path, &length, &unread) : NULL;
  if (!found || length < sizeof header) return false;
  memcpy(&header, found, sizeof header);
  if (memcmp(header.magic, state_magic, sizeof state_magic) != 0 ||
      memcmp(header.identity, t->identity.hex, DIGEST_LENGTH) != 0 || header.count < 1 ||
      (uint64_t)header.count != (length - sizeof header) / sizeof(int) ||
      length != sizeof header + (size_t)header.count * sizeof(int))
    return false;
  int *choice = arena_array(&t->arena, (size_t)header.count, sizeof *choice);
  memcpy(choice, found + sizeof header, (size_t)header.count * sizeof *choice);
  if (memcmp(header.digest, digest_of(&header, choice).hex, DIGEST_LENGTH) != 0) return false;
  if (!event_log_reaches(&t->log, header.log_size)) return false;
  *state = (struct search_state){.generation = header.generation,
                                 .asked = header.asked,
                                 .tokens = header.tokens,
                                 .trained = header.trained,
                                 .worth = header.worth,
                                 .seconds = header.seconds,
                                 .log_size = header.log_size,
                                 .count = (int)header.count,
                                 .choice = choice};
  return true;
}

void search_state_remove(struct stage_work *work) { unlink(path_of(work)); }
