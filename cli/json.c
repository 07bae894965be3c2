/* JSON on standard output is valid UTF-8, whatever the names of files are. A byte that is not part
 * of valid UTF-8 becomes an escape from \udc80 to \udcff, as in Python's surrogateescape:
 * os.fsencode(json.loads(line)["path"]) gives the exact bytes of the name. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Writes a JSON text; invalid UTF-8 is escaped, which is correct because it occurs only inside
 * strings. */
static void put_valid(FILE *to, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const int n = ft_utf8_length((const char *)s);
        if (n)
            fwrite(s, 1, (size_t)n, to);
        else
            fprintf(to, "\\udc%02x", *s);
        s += n ? n : 1;
    }
}

void json_put_string(FILE *to, const char *string)
{
    static const char special[] = "\"\\\n\r\t";
    putc('"', to);
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        const int n = ft_utf8_length((const char *)s);
        const char *named = memchr(special, *s, sizeof special - 1);
        if (named)
            fprintf(to, "\\%c", "\"\\nrt"[named - special]);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(to, "\\u%04x", *s);
        else if (n)
            fwrite(s, 1, (size_t)n, to);
        else
            fprintf(to, "\\udc%02x", *s);
        s += n ? n : 1;
    }
    putc('"', to);
}

void json_add_skipped(cJSON *json, const struct pictures *p)
{
    cJSON *bad = cJSON_CreateArray();
    for (size_t i = 0; i < p->n_bad; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "path", p->bad[i].path);
        cJSON_AddStringToObject(one, "reason", p->bad[i].reason);
        cJSON_AddItemToArray(bad, one);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(json, "skipped");
    cJSON_AddItemToObject(json, "skipped", bad);
}

void json_print(cJSON *json)
{
    if (json_print_text(ft_json_text(json, false)))
        output_failed(ENOMEM);
}

int json_print_text(char *text)
{
    const bool there = text != NULL;
    if (there) {
        put_valid(stdout, text);
        putchar('\n');
    }
    free(text);
    return there ? 0 : -1;
}
