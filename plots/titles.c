// Titles of panels, in the room that they have.
#include <string.h>

#include "plots/layout.h"

double layout_title_width(const char *title) { return 1.12 * text_width(title); }

// The longest part of the words that has room, up to a space; 0 when not even the first word has.
static size_t fitting_words(struct arena *arena, const char *words, double room) {
  size_t length = 0;
  for (size_t i = 1;; i++) {
    if (words[i] && words[i] != ' ') continue;
    if (layout_title_width(arena_format(arena, "%.*s", (int)i, words)) > room) return length;
    length = i;
    if (!words[i]) return length;
  }
}

// The words, or as many letters as have room and three dots.
static const char *cut_words(struct arena *arena, const char *words, double room) {
  enum { LONGEST = 300 };  // no letter is so narrow that more had room
  if (layout_title_width(words) <= room) return words;
  size_t length = strlen(words) < LONGEST ? strlen(words) : LONGEST;
  const char *cut;
  do {
    while (((unsigned char)words[--length] & 0xC0) == 0x80) continue;  // inside a character
    cut = arena_format(arena, "%.*s…", (int)length, words);
  } while (length > 1 && layout_title_width(cut) > room);
  return cut;
}

int layout_title_lines(const struct layout *l, const char *title, const char *lines[TITLE_LINES]) {
  double room = l->panel_width + l->gap - 6;
  lines[0] = title;
  if (layout_title_width(title) <= room) return 1;
  size_t length = fitting_words(l->arena, title, room);
  lines[0] = cut_words(l->arena, title, room);
  if (!length) return 1;
  lines[0] = arena_format(l->arena, "%.*s", (int)length, title);
  lines[1] = cut_words(l->arena, title + length + 1, room);
  return 2;
}
