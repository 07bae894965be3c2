/* The table of commands, in the order of the help. Each is defined in its own file. */
#include <string.h>

#include "options.h"

#define COMMANDS(row)                                                                              \
    row(train) row(predict) row(evaluate) row(explain) row(doctor) row(curve) row(features)        \
        row(info) row(bench) row(import) row(export) row(backbones) row(cache)

#define DECLARE(name) extern const struct command name##_command;
#define POINTER(name) &name##_command,

COMMANDS(DECLARE)

const struct command *const commands[] = { COMMANDS(POINTER) };
const int n_commands = sizeof commands / sizeof *commands;

const struct command *command_named(const char *name)
{
    for (int i = 0; i < n_commands; i++)
        if (!strcmp(name, commands[i]->name))
            return commands[i];
    return NULL;
}
