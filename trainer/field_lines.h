// How lines of a table of fields are written, over a FIELD(member, type) of whoever includes this file.
#pragma once

#define INTEGER(member, least, most) FIELD(member, FIELD_INTEGER), .low = least, .high = most
#define NUMBER(member, least, most) FIELD(member, FIELD_NUMBER), .low = least, .high = most
#define BOOLEAN(member) FIELD(member, FIELD_BOOLEAN)
#define CHOICE(member, words) FIELD(member, FIELD_CHOICE), .choices = words
#define TEXT(member) FIELD(member, FIELD_TEXT)
#define DEFAULT(text) .fallback = text
#define AUTO .fallback = "auto", .auto_allowed = true
#define UNIT(text) .unit = text
#define COUNTS .effect = EFFECT_COUNTS
#define NO_EFFECT .effect = EFFECT_NONE
#define HELP(line) .help = line
// The words of train.optimizer, which tasks with networks have too.
#define OPTIMIZERS "adamw|sgd|lion|muon|normuon|soap|shampoo|ldadam|dct_adamw|trion"
