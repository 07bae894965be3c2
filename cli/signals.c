/* Signals that ask the program to stop. Long work ends early and keeps its results. Then the
 * program ends with the same signal, as shells and make expect. */
#include <signal.h>
#include <stddef.h>

#include "cli.h"

static volatile sig_atomic_t caught;
static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static void remember(int number)
{
    caught = number;
}

/* A signal that was ignored when the program started (nohup, a background job) stays ignored. A
 * second signal ends the program at once. Interrupted writes are restarted, so that finished rows
 * are not lost if the reader is slow; code that waits for inputs polls signals_caught. */
void signals_catch(void)
{
    struct sigaction old,
        action = { .sa_handler = remember, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigaction(numbers[i], NULL, &old) && old.sa_handler == SIG_DFL)
            sigaction(numbers[i], &action, NULL);
}

void signals_release(void)
{
    struct sigaction old;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigaction(numbers[i], NULL, &old) && old.sa_handler == remember)
            signal(numbers[i], SIG_DFL);
}

int signals_caught(void)
{
    return caught;
}

void signals_forget(void)
{
    caught = 0;
}

void signals_die(void)
{
    if (!caught)
        return;
    signal(caught, SIG_DFL);
    raise(caught);
}

bool signals_stop(void *user)
{
    (void)user;
    return signals_caught() != 0;
}
