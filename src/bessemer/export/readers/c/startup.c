/* The least that a Cortex-M needs before main: a vector table, the FPU, data in RAM. */
#include <stdint.h>
#include <string.h>

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
extern void initialise_monitor_handles(void);
extern int main(void);
extern void exit(int);

void reset(void);
static void stopped(void) { exit(70); }

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, (void *)reset,   (void *)stopped, (void *)stopped, (void *)stopped, (void *)stopped, (void *)stopped, 0,
    0,          0,               0,               (void *)stopped, (void *)stopped, 0,               (void *)stopped, (void *)stopped,
};

void reset(void) {
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* CPACR: the FPU is on */
    __asm volatile("dsb\nisb");
#endif
    memcpy(&data_start, &data_load, (size_t)((char *)&data_end - (char *)&data_start));
    memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
    initialise_monitor_handles();
    exit(main());
}
