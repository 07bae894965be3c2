/* Being asked to stop: long work ends early and in order, and the program then dies of the same
 * signal, as shells and make expect. */
#include <signal.h>
#include <stddef.h>

#include "cli.h"

static volatile sig_atomic_t caught;
static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static void remember(int number)
{
    caught = number;
}

/* A signal that was ignored when the program began (nohup, a job in the background) stays ignored;
 * a second one ends it at once. Writing goes on where it was interrupted, so that rows that are
 * known are not lost to a slow reader; who waits for inputs asks in turns. */
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
