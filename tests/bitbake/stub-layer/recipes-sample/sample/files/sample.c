#include <stdio.h>

int main(void)
{
    puts("unpatched");
    return 0;
}
