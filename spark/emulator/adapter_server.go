package emulator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// loraMemory is what adapters occupy: the slots, and the files that are held.
type loraMemory struct {
	slots *arena
	held  heldPages
}

func (m *loraMemory) close() error {
	err := m.held.close()
	if m.slots != nil {
		err = errors.Join(err, m.slots.close())
	}
	return err
}

// furnishAdapters finds the adapters and makes room for them. Pinned ones are
// loaded, held files read; of the others nothing but headers.
func (s *server) furnishAdapters(ctx context.Context) (err error) {
	cfg := s.cfg
	drop := cfg.AdapterPages == AdapterPagesDrop || cfg.AdapterPages == ""
	if drop && !cfg.AdapterPinned {
		if err := checkDroppable(cfg.AdapterDir); err != nil {
			return err
		}
	}
	if s.loras, err = openCatalogue(cfg.AdapterDir); err != nil {
		return err
	}
	all := s.loras.all()
	slots, remedy := cfg.AdapterSlots, "lower adapter_slots"
	if cfg.AdapterPinned {
		slots, remedy = len(all), "lower the number of adapters, or do not pin them"
	}
	if s.lora.slots, err = mapArena(slots, slotBytes(all), "adapter slots", remedy); err != nil {
		return err
	}
	s.eng.loader = newLoader(s.clk, s.lora.slots, cfg.AdapterMmap, s.eng.adapterLanded)
	s.eng.sched.bank = newBank(slots, drop, cfg.AdapterPinned, s.loras.at)
	if cfg.AdapterPages == AdapterPagesHold {
		for _, l := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.lora.held.add(l); err != nil {
				return err
			}
		}
	}
	if cfg.AdapterPinned {
		if err := s.pinAdapters(ctx, all); err != nil {
			return err
		}
	}
	s.loras.admit = func(l *lora) error { return s.admitAdapter(l, drop) }
	s.loras.retired = func(id int32) { s.eng.call(func() { s.eng.sched.retire(id) }) }
	return nil
}

// slotBytes is the size of the largest adapter's file in whole pages.
func slotBytes(all []*lora) int64 {
	return (largest(all) + pageBytes - 1) / pageBytes * pageBytes
}

func largest(all []*lora) int64 {
	var size int64
	for _, l := range all {
		size = max(size, l.bytes)
	}
	return size
}

// pinAdapters loads all of them before the first request.
func (s *server) pinAdapters(ctx context.Context, all []*lora) error {
	done, err := s.eng.loader.loadAll(ctx, all)
	if err != nil {
		return err
	}
	for _, r := range done {
		s.eng.adapterLoads.observe(r.took)
		s.eng.sched.bank.put(r.op.lora, r.op.slot, r.sum)
	}
	return nil
}

// admitAdapter makes ready for an adapter that is registered while the server
// runs, or says why it cannot be served.
func (s *server) admitAdapter(l *lora, drop bool) error {
	switch room := int64(s.lora.slots.block); {
	case s.cfg.AdapterPinned:
		return fmt.Errorf("%w: all adapters are pinned, there is no room for %s (start the server without adapter_pinned)", ErrAdapters, l.name)
	case l.bytes > room:
		return fmt.Errorf("%w: %s has %d bytes, slots have %d, the size of the largest adapter at the start", ErrAdapters, l.name, l.bytes, room)
	case drop:
		return checkDroppable(l.dir)
	case s.cfg.AdapterPages == AdapterPagesHold:
		return s.lora.held.add(l)
	}
	return nil
}

// describeAdapters fills in what Info says of adapters.
func (s *server) describeAdapters(i *Info) {
	if s.loras == nil {
		return
	}
	all := s.loras.all()
	for _, l := range all {
		i.Adapters = append(i.Adapters, l.name)
	}
	i.AdapterBytes, i.AdapterSlots = largest(all), len(s.eng.sched.bank.slots)
}

// adapterMetrics appends vLLM's word on adapters and the server's own.
func (s *server) adapterMetrics(put func(kind, name, help, labels string, v any), b *strings.Builder, model string, t SecondTruth) {
	var running, waiting []string
	s.eng.call(func() { running, waiting = s.eng.sched.bank.asked() })
	// Names hold no comma, quote or backslash.
	put("gauge", "vllm:lora_requests_info", "Adapters that requests use and wait for, at that time.",
		fmt.Sprintf(`running_lora_adapters="%s",waiting_lora_adapters="%s",max_lora="%d"`, strings.Join(running, ","), strings.Join(waiting, ","), t.AdapterSlots),
		fmt.Sprintf("%.3f", float64(time.Now().UnixMilli())/1000))
	put("counter", "spark_emulator_adapter_loads_total", "Adapters read into memory.", model, t.AdapterLoads)
	put("counter", "spark_emulator_adapter_evictions_total", "Adapters that lost their place in memory to another.", model, t.AdapterEvictions)
	put("counter", "spark_emulator_adapter_read_bytes_total", "Bytes read of adapters' files.", model, t.AdapterReadBytes)
	put("counter", "spark_emulator_adapter_errors_total", "Loads of adapters, and drops of their pages, that failed.", model, t.AdapterErrors)
	put("gauge", "spark_emulator_adapter_slots", "Adapters that memory holds.", model, t.AdapterSlots)
	put("gauge", "spark_emulator_adapter_resident", "Adapters in memory.", model, t.AdapterResident)
	put("gauge", "spark_emulator_adapter_slot_bytes", "Size of a slot.", model, s.lora.slots.block)
	s.eng.adapterLoads.expose(b, "spark_emulator_adapter_load_seconds", "One adapter's load: opening, reading, checking.", model)
}
