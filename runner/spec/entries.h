// The keys of a spec's fit entries, one line each: of laws to fit, and of `method: isoflop`. The reader, the defaults,
// the JSON Schema, the options of `isoloss fit`, `fit compare`, `predict` and `isoflop`, and the tables of docs/spec.md
// derive from them. A new key is a line in entries.c, a member of its struct in spec.h, and its use.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// What a key takes, and the member that keeps it.
enum entry_type {
  ENTRY_TEXT,       // const char *
  ENTRY_CHOICE,     // const char *: one of the choices
  ENTRY_INTEGER,    // int64_t: from low to high; -1: not given
  ENTRY_FACTOR,     // double: above low; 0: not given
  ENTRY_BOOLEAN,    // bool
  ENTRY_CONDITION,  // struct spec_condition: an expression, a condition or a number, over the store's columns
  ENTRY_COLUMN,     // const char *: a column of the store
  ENTRY_LAW,        // const char *: a law that ships, or the path of a law's file
  ENTRY_OBJECTIVE,  // const char *: one of the choices, "huber" with its delta
  ENTRY_NOISE,      // const char *: "0.002", "0.002@3,0.05@7"
  ENTRY_PIN,        // const char *: "a=0.5", "a=0.5,b=0.5"
  // struct option_list: one or a list of these
  ENTRY_LAWS,     // besides the entry's own
  ENTRY_NAMES,    // of a law's parameters
  ENTRY_COLUMNS,  // of the store
  ENTRY_FIELDS,   // paths of run fields
  ENTRY_TEXTS,    // whole texts, commas and all; a file's path (.json) is looked for from the spec's folder
};

// Commands that take a key's option.
enum entry_command { OF_FIT = 1, OF_COMPARE = 2, OF_PREDICT = 4, OF_FIT_AND_PREDICT = 5, OF_FITS = 7, OF_ISOFLOP = 8 };

struct entry_key {
  const char *name;
  enum entry_type type;
  size_t place;                // in the entry's struct
  const char *example;         // a value, as YAML
  const char *help;            // what it is, of the runs of a spec
  const char *const *choices;  // NULL ends them
  const char *fallback;        // the value where the key is missing; NULL: none
  bool required;
  double low, high;
  const char *mistake;  // after the key's name, of a number out of range
  const char *hint;     // with a mistake; NULL: none
  struct {
    const char *name;  // NULL: no option says the same
    char letter;
    const char *argument;        // NULL of a flag
    const char *help;            // what it is, of the rows of any table
    unsigned commands;           // enum entry_command
    const char *const *choices;  // as a shell can offer them, where they are not the key's
  } option;
};

struct entry_kind {
  const char *name;   // "fit", as messages call it
  const char *about;  // for the schema; NULL: nothing
  const struct entry_key *keys;
  size_t count;
};
extern const struct entry_kind fit_entry;      // struct spec_fit
extern const struct entry_kind isoflop_entry;  // struct spec_isoflop

// The key of that name, or NULL.
const struct entry_key *entry_key_find(const struct entry_kind *kind, const char *name);
size_t entry_choice_count(const struct entry_key *key);
// True when the member is a struct option_list.
bool entry_key_is_list(const struct entry_key *key);
// Sets the members of all keys of an entry as if none were given; those of keys with a default to that.
void entry_clear(const struct entry_kind *kind, void *entry);
void entry_default(const struct entry_kind *kind, void *entry);
