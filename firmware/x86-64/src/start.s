# From where QEMU enters (32-bit protected mode, no paging) to Rust in 64-bit mode.

    # Tells QEMU that this is a guest of the PVH kind, and its entry.
    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .section .tables, "aw", @nobits
    .balign 4096
tables_4: .skip 4096
tables_3: .skip 4096
tables_2: .skip 4 * 4096

    .section .rodata.start, "a"
    .balign 8
descriptors:
    .quad 0
    .quad 0x00af9a000000ffff    # code, 64 bits
    .quad 0x00cf92000000ffff    # data
descriptors_end:
descriptors_pointer:
    .word descriptors_end - descriptors - 1
    .long descriptors

    .section .text.start, "ax"
    .code32
    .global start
start:
    cli
    cld
    mov esp, offset __stack

    # Memory remembers the last boot.
    mov edi, offset tables_4
    mov ecx, 6 * 4096 / 4
    xor eax, eax
    rep stosd
    mov edi, offset __bss_start
    mov ecx, offset __bss_end
    sub ecx, edi
    shr ecx, 2
    rep stosd

    # The first 4 GiB, one to one, in pages of 2 MiB.
    mov eax, offset tables_3
    or eax, 3
    mov [tables_4], eax
    mov edi, offset tables_3
    mov eax, offset tables_2
    or eax, 3
    mov ecx, 4
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    dec ecx
    jnz 2b
    mov edi, offset tables_2
    mov eax, 0x83
    mov ecx, 4 * 512
3:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    dec ecx
    jnz 3b

    mov eax, offset tables_4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x620               # large addresses, SSE
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100               # long mode
    wrmsr
    mov eax, cr0
    and eax, 0xfffffffb         # a real floating-point unit
    or eax, 0x80000003          # paging
    mov cr0, eax
    lgdt [descriptors_pointer]
    push 8
    mov eax, offset start_64
    push eax
    retf

    .code64
start_64:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov esp, offset __stack
    xor ebp, ebp
    call main
4:  hlt
    jmp 4b
