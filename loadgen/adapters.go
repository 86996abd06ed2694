package loadgen

import "fmt"

// Adapter is one LoRA adapter as a request can name it; which of the members a
// server wants is the dialect's business.
type Adapter struct {
	// Name is how people and most servers call it. Required.
	Name string `json:"name"`
	// ID is the number that TensorRT-LLM (lora_task_id, lora_int_id), the llmapi
	// model (lora_id) and llama.cpp want; 0 stands for its place in the list, from 1.
	ID int64 `json:"id,omitempty"`
	// Path is its directory as the server sees it, where the server wants one.
	Path string `json:"path,omitempty"`
}

// AdapterChoice says how requests are dealt to adapters.
type AdapterChoice string

// The choices. The empty choice is AdapterSticky.
const (
	AdapterSticky  AdapterChoice = "sticky"   // each user keeps one; users are dealt evenly
	AdapterRandom  AdapterChoice = "random"   // each request any, with equal chance
	AdapterZipf    AdapterChoice = "zipf"     // each request any, the first ones more often
	AdapterHotOne  AdapterChoice = "hot-one"  // every request the first
	AdapterInOrder AdapterChoice = "in-order" // a user's requests one after the other, through the list and around
)

// maxZipfExponent is far beyond the point at which the first adapter has all.
const maxZipfExponent = 100

// Adapters says which adapter each request asks for. The zero value asks for
// the base model always.
type Adapters struct {
	List   []Adapter     `json:"list,omitempty"`
	Choice AdapterChoice `json:"choice,omitempty"`
	// ZipfExponent is s in 1/rank^s for AdapterZipf; 0 means 1.
	ZipfExponent float64 `json:"zipf_exponent,omitempty"`
}

func (a Adapters) validate(f *faults) {
	const field = "Workload.Adapters."
	oneOf(f, field+"Choice", a.Choice, "", AdapterSticky, AdapterRandom, AdapterZipf, AdapterHotOne, AdapterInOrder)
	f.number(field+"ZipfExponent", a.ZipfExponent, 0, maxZipfExponent)
	if len(a.List) == 0 && (a.Choice != "" || a.ZipfExponent > 0) {
		f.add(field+"List", "is empty, so there is nothing to choose (name adapters, or leave Choice and ZipfExponent empty)")
	}
	for _, l := range adapterFaults(a.List) {
		text := l.text
		if l.first >= 0 {
			text += fmt.Sprintf(" (first at %d)", l.first)
		}
		f.add(fmt.Sprintf(field+"List[%d]", l.place), "%s", text)
	}
}
