package fioctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Save writes the calibration as JSON to a path whose directory exists. The
// file is whole or not there: it is written beside it, synced and renamed. An
// older one is replaced.
func (c Calibration) Save(path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fioctl: save calibration: %w", err)
		}
	}()
	text, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	partial := path + partialSuffix
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// LoadCalibration reads what Save wrote. A file that is not there is
// fs.ErrNotExist; one that cannot be read as a calibration, or has another
// schema, is ErrStale. Whether it still holds is for Fresh to say.
func LoadCalibration(path string) (Calibration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Calibration{}, fmt.Errorf("fioctl: load calibration: %w (calibrate first)", err)
	}
	var c Calibration
	if err := json.Unmarshal(text, &c); err != nil {
		return Calibration{}, fmt.Errorf("fioctl: load calibration %s: %w: %w (calibrate again)", path, ErrStale, err)
	}
	if c.Schema != calibrationSchema {
		return Calibration{}, fmt.Errorf("fioctl: load calibration %s: %w: schema %d, %d expected (calibrate again)", path, ErrStale, c.Schema, calibrationSchema)
	}
	return c, nil
}
