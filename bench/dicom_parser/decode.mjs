// Decodes headers as dcm2bq did: dicom-parser up to the pixels, every element to a value, JSON. Prints the median microseconds of CPU time.
//
//     node decode.mjs WARM_UP_MILLISECONDS FILE…

import { readFileSync } from 'node:fs'
import dicomParser from 'dicom-parser'

const PIXEL_DATA = 'x7fe00010'
const NUMBERS = { US: ['uint16', 2], SS: ['int16', 2], UL: ['uint32', 4], SL: ['int32', 4], FL: ['float', 4], FD: ['double', 8] }
const BULK = new Set(['OB', 'OW', 'OF', 'OD', 'OL', 'OV', 'UN'])

function numbers(dataSet, tag, length, [name, size]) {
  return Array.from({ length: length / size }, (_, index) => dataSet[name](tag, index))
}

function value(dataSet, tag, element) {
  if (element.items) return element.items.filter((item) => item.dataSet).map((item) => values(item.dataSet))
  if (element.vr in NUMBERS) return numbers(dataSet, tag, element.length, NUMBERS[element.vr])
  if (element.vr === 'AT') return dataSet.attributeTag(tag)
  if (BULK.has(element.vr)) return { length: element.length }
  return dataSet.string(tag)?.split('\\')
}

function values(dataSet) {
  const entries = Object.entries(dataSet.elements).map(([tag, element]) => [tag, { vr: element.vr, Value: value(dataSet, tag, element) }])
  return Object.fromEntries(entries)
}

function decode(bytes) {
  return JSON.stringify(values(dicomParser.parseDicom(bytes, { untilTag: PIXEL_DATA })))
}

function microseconds(bytes) {
  const start = process.cpuUsage()
  decode(bytes)
  const { user, system } = process.cpuUsage(start)
  return user + system
}

function decodes(bytes) {
  try {
    decode(bytes)
    return true
  } catch {
    return false
  }
}

const [warmUp, ...paths] = process.argv.slice(2)
const files = paths.map((path) => readFileSync(path)).filter(decodes)
while (files.length && performance.now() < Number(warmUp)) files.forEach(decode) // the compiler has seen it all
const times = files.map(microseconds).sort((a, b) => a - b)
console.log(JSON.stringify({ files: files.length, median: times[Math.floor(times.length / 2)] ?? null }))
